<?php
// Changes what is global in a C program, waits for the others to do the same, and looks again.
header('Content-Type: application/json');
$i = (int) $_GET['i'];
$before = ['cwd' => getcwd(), 'umask' => umask(), 'locale' => setlocale(LC_ALL, '0'), 'timezone' => date_default_timezone_get(),
    'precision' => ini_get('precision'), 'decimal' => sprintf('%f', 1.5)];
$folder = $_GET['folder'];
@mkdir("$folder/$i");
chdir("$folder/$i");
umask($i);
$locale = setlocale(LC_ALL, $i % 2 ? 'C' : 'C.UTF-8');
date_default_timezone_set($i % 2 ? 'Asia/Tokyo' : 'Europe/Paris');
ini_set('precision', (string) (5 + $i));
usleep(100_000);
touch('made');
clearstatcache();
echo json_encode([
    'before' => $before,
    'cwd' => getcwd(),
    'umask' => umask(),
    'mode' => fileperms("$folder/$i/made") & 0777,
    'locale_ok' => setlocale(LC_ALL, '0') === $locale,
    'timezone' => date_default_timezone_get(),
    'precision' => ini_get('precision'),
    'native' => setlocale(LC_CTYPE, '0'),
]);
umask(0022);
