<?php
// Holds so many MB in small pieces for as long as the request lasts, with another memory_limit if one is asked for.
if (isset($_GET['limit'])) {
    ini_set('memory_limit', $_GET['limit']);
}
$pieces = [];
for ($left = (int) $_GET['mb'] * 1000; $left > 0; $left--) {
    $pieces[] = str_repeat('x', 1000);
}
echo 'held';
