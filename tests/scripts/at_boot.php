<?php
// What the worker's script noted while it booted.
header('Content-Type: application/json');
echo json_encode($GLOBALS['at boot']);
