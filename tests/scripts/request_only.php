<?php
// $_REQUEST is built only when it is used (auto_globals_jit); every other request does not use it.
header('Content-Type: application/json');
echo isset($_GET['use']) ? json_encode($_REQUEST) : '"unused"';
