<?php
// Two pieces; the second follows only when the client has shown that it read the first.
$gate = $_GET['gate'] ?? null;
echo 'first;', isset($_GET['long']) ? str_repeat('filler ', 2000) : '';
flush();
for ($tries = 0; $gate !== null && !file_exists($gate) && $tries < 1000; $tries++) {
    usleep(10_000);
}
echo 'second ', $_GET['i'] ?? '';
