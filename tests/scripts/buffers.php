<?php
// Output buffers, nested and left open.
$level = ob_get_level();
ob_start(fn (string $text) => strtoupper($text));
echo 'upper ';
ob_start();
echo 'dropped ';
ob_end_clean();
ob_start(fn (string $text) => strrev($text));
echo 'olleh';
if (isset($_GET['flush'])) {
    ob_flush();
}
header('X-Level: ' . $level);
