"""Survey meshes: OBJ, glTF and PLY with a georeference, as models of surfaces that need not be closed."""
