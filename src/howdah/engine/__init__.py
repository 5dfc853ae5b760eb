"""PHP in this process: the native extension behind one door, its ini, and what a PHP build offers."""
