<?php
// A front controller: answers for every path without a file.
header('Content-Type: application/json');
$names = ['PATH_INFO', 'SCRIPT_NAME', 'SCRIPT_FILENAME', 'PHP_SELF', 'REQUEST_URI', 'QUERY_STRING', 'DOCUMENT_URI', 'DOCUMENT_ROOT', 'PATH_TRANSLATED'];
echo json_encode(['front' => true] + array_intersect_key($_SERVER, array_flip($names)), JSON_UNESCAPED_SLASHES);
