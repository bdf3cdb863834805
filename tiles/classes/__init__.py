"""What is no building as tiles: trees and street furniture as instances, surfaces and pipes as meshes."""
