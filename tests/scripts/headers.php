<?php
// Header lines in all spellings that PHP takes.
http_response_code(201);
header('X-Plain: ' . ($_GET['i'] ?? ''));
header('X-No-Space:tight');
header('X-Many-Spaces:    wide');
header('X-Twice: one');
header('X-Twice: two', false);
header('a line without colon');
setcookie('first', '1');
setcookie('second', '2');
echo 'created';
