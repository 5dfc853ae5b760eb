<?php
// Status lines as scripts write them.
header($_GET['line'] ?? 'HTTP/1.1 418 teapot');
echo 'status line taken';
