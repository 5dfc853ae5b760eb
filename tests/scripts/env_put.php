<?php
// Tells what the last request left, then leaves something.
echo json_encode([
    'before' => getenv('HOWDAH_TEST_LEFT'),
    'set' => putenv('HOWDAH_TEST_LEFT=' . $_GET['i']),
    'after' => getenv('HOWDAH_TEST_LEFT'),
]);
