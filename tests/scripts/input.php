<?php
// php://input, read once as a whole and once through a stream.
header('X-Length: ' . strlen(file_get_contents('php://input')));
$again = fopen('php://input', 'r');
echo 'got: ', stream_get_contents($again);
