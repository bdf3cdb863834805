"""The room that speaks HTTP: what the store holds, what the hub pushes, and the viewer, to a browser or a program."""
