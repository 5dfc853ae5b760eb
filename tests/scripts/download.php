<?php
// As many bytes as asked for, in pieces of 64 KiB.
header('Content-Type: application/octet-stream');
if (isset($_GET['length'])) {
    header('Content-Length: ' . $_GET['length']);
}
$left = (int) $_GET['bytes'];
$piece = str_repeat('0123456789abcdef', 4096);
while ($left > 0) {
    echo substr($piece, 0, min($left, 65536));
    $left -= 65536;
}
if (isset($_GET['trace'])) {
    file_put_contents($_GET['trace'], 'sent');
}
