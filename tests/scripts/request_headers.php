<?php
// All spellings of the request headers.
header('Content-Type: application/json');
echo json_encode([
    'getallheaders' => getallheaders(),
    'same' => getallheaders() === apache_request_headers() && getallheaders() === frankenphp_request_headers(),
]);
