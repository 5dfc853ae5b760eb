<?php
// $_SERVER with values in hexadecimal, so that every byte can be told.
header('Content-Type: application/json');
$shown = [];
foreach ($_SERVER as $name => $value) {
    if (is_string($value)) {
        $shown[$name] = bin2hex($value);
    }
}
echo json_encode($shown, JSON_THROW_ON_ERROR | JSON_INVALID_UTF8_SUBSTITUTE);
