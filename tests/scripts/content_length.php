<?php
// A script that announces another length than it sends.
header('Content-Length: ' . $_GET['announced']);
echo str_repeat('z', (int) $_GET['sent']);
