<?php
// Holds a thread for a while, or until a file exists; notes that it ran.
if (isset($_GET['trace'])) {
    file_put_contents($_GET['trace'], 'ran');
}
if (isset($_GET['gate'])) {
    for ($tries = 0; !file_exists($_GET['gate']) && $tries < 3000; $tries++) {
        usleep(10_000);
    }
}
if (isset($_GET['ms'])) {
    usleep(1000 * (int) $_GET['ms']);
}
echo 'slept ', $_GET['i'] ?? '';
