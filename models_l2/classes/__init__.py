"""What a city has besides buildings: ground cover on the relief, trees, pipes under the ground, street furniture."""
