<?php
// What apache_response_headers() tells about headers that are still to be sent.
header('X-Single: ' . $_GET['i']);
header('X-Double: a', false);
header('X-Double: b', false);
header('nothing');
setcookie('one', '1');
setcookie('two', '2');
http_response_code(200 + (int) $_GET['i'] % 3);
$seen = apache_response_headers();
header('Content-Type: application/json');
echo json_encode(['apache' => $seen, 'own' => frankenphp_response_headers()]);
