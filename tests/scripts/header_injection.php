<?php
// Headers whose values come from a client.
$warnings = [];
set_error_handler(function (int $level, string $message) use (&$warnings): bool {
    $warnings[] = $message;
    return true;
});
header('X-Value: ' . ($_GET['value'] ?? ''));
if (isset($_GET['name'])) {
    header($_GET['name'] . ': named');
}
if (isset($_GET['cookie'])) {
    try {
        setcookie('c', $_GET['cookie'], ['path' => $_GET['path'] ?? '/']);
    } catch (ValueError $error) {
        $warnings[] = $error->getMessage();
    }
}
if (isset($_GET['location'])) {
    header('Location: ' . $_GET['location']);
}
echo json_encode($warnings);
