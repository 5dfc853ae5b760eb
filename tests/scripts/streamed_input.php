<?php
// Reads the body piece by piece and notes when the first piece was there.
$input = fopen('php://input', 'r');
$first = fread($input, 8192);
if (isset($_GET['trace'])) {
    file_put_contents($_GET['trace'], strlen($first));
}
$rest = stream_get_contents($input);
echo 'read=', strlen($first) + strlen($rest);
