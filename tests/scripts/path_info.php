<?php
header('Content-Type: application/json');
$names = ['PATH_INFO', 'PATH_TRANSLATED', 'SCRIPT_NAME', 'SCRIPT_FILENAME', 'PHP_SELF', 'REQUEST_URI', 'QUERY_STRING', 'DOCUMENT_URI', 'DOCUMENT_ROOT'];
$found = array_intersect_key($_SERVER, array_flip($names));
echo json_encode(array_map(fn ($value) => preg_match('//u', $value) ? $value : 'base64:' . base64_encode($value), $found), JSON_UNESCAPED_SLASHES);
