<?php
// Answers how many bytes arrived as the body.
$body = fopen('php://input', 'rb');
for ($bytes = 0; !feof($body);) {
    $bytes += strlen(fread($body, 65536));
}
echo $bytes;
