<?php
// What setlocale() answers for LC_ALL must be good for going back, as often as one likes.
$found = setlocale(LC_ALL, '0');
$seen = ['set' => setlocale(LC_ALL, 'C.UTF-8'), 'back' => setlocale(LC_ALL, $found) === $found];
$seen['ctype is one name'] = !str_contains(setlocale(LC_CTYPE, '0'), ';');
setlocale(LC_NUMERIC, 'C');
$seen['back again'] = setlocale(LC_ALL, setlocale(LC_ALL, '0')) === $found;
$seen['posix'] = setlocale(LC_ALL, 'POSIX');
$seen['first that works'] = setlocale(LC_ALL, ['no_SUCH', 'C.UTF-8']);
$seen['unknown'] = setlocale(LC_ALL, 'no_SUCH');
$seen['unknown category'] = setlocale(99, 'C');
$seen['kept'] = setlocale(LC_ALL, '0');
putenv('LC_ALL=C');
$seen['of the environment'] = setlocale(LC_ALL, '');
header('Content-Type: application/json');
echo json_encode($seen);
