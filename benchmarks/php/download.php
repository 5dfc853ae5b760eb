<?php
// As many pieces of 64 KiB as asked for.
$piece = str_repeat('0123456789abcdef', 4096);
$pieces = (int) $_GET['pieces'];
header('Content-Type: application/octet-stream');
header('Content-Length: ' . $pieces * strlen($piece));
for ($number = 0; $number < $pieces; $number++) {
    echo $piece;
}
