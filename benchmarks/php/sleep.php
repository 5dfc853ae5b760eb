<?php
// Waits as for a database; computes nothing.
usleep(100000);
echo 'slept';
