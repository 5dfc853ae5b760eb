<?php
header('Content-Type: application/json');
$names = ['PHP_AUTH_USER', 'PHP_AUTH_PW', 'PHP_AUTH_DIGEST', 'REMOTE_USER', 'AUTH_TYPE', 'HTTP_AUTHORIZATION'];
echo json_encode(array_intersect_key($_SERVER, array_flip($names)));
