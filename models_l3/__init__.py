"""The ancient city, lovingly: halls, towers, houses and the town wall by the rules of their builders."""
