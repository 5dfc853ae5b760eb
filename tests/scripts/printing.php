<?php
// Prints every 20 ms and notes how its connection looked at the end; says nothing about ignore_user_abort().
$trace = $_GET['trace'];
file_put_contents($trace, 'begun');
for ($ticks = (int) ($_GET['ticks'] ?? 50); $ticks > 0; $ticks--) {
    echo 'tick ';
    flush();
    usleep(20_000);
}
file_put_contents($trace, 'end status ' . connection_status() . ' aborted ' . connection_aborted());
