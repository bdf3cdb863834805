"""City models as others built them: CityJSON and CityGML to footprints and to the surfaces as delivered."""
