<?php
// A loop that only the time limit ends.
set_time_limit((int) ($_GET['seconds'] ?? 1));
if (isset($_GET['print'])) {
    echo 'looping';
}
while (true) {
    if (isset($_GET['sleep'])) {
        usleep(50_000);
    }
}
