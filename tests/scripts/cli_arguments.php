<?php
echo implode(',', array_slice($argv, 1)), ' ', $argc, ' ', basename($argv[0]), "\n";
fwrite(STDERR, "to standard error\n");
exit(3);
