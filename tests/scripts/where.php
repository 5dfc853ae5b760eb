<?php
// Stays for a while in a place that a backtrace must show; lines are counted by the test.
set_time_limit(0);
require __DIR__ . '/lib/places.php';
$seconds = (float) ($_GET['seconds'] ?? 1);
go($_GET['place'], $seconds, $_GET['how'] ?? 'sleep');
echo 'through';
