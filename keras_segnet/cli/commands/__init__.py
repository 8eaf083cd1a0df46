"""The commands, one a module. Each reads its arguments, calls the library, and shows what came of it."""
