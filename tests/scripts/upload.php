<?php
// An uploaded file is readable, and is a file of ours only.
header('Content-Type: application/json');
$answer = ['post' => $_POST, 'files' => []];
foreach ($_FILES as $name => $file) {
    $answer['files'][$name] = [
        'name' => $file['name'],
        'size' => $file['size'],
        'error' => $file['error'],
        'type' => $file['type'],
        'uploaded' => is_uploaded_file($file['tmp_name']),
        'md5' => is_file($file['tmp_name']) ? md5_file($file['tmp_name']) : null,
        'path' => $file['tmp_name'],
    ];
}
echo json_encode($answer);
