<?php
// What a chaotic request asks for; the answer can be checked. Shared by both modes.
function act(): void
{
    $i = $_GET['i'] ?? '';
    switch ($_GET['do'] ?? 'echo') {
        case 'echo':
            echo "$i ", $_SERVER['REQUEST_METHOD'];
            break;
        case 'body':
            $body = file_get_contents('php://input');
            echo "$i ", strlen($body), ' ', md5($body);
            break;
        case 'sleep':
            usleep(random_int(1, 80) * 1000);
            echo "$i slept";
            break;
        case 'download':
            for ($piece = 0; $piece < 48; $piece++) {
                echo str_repeat(chr(65 + $piece % 26), 65536);
            }
            break;
        case 'include':
            $name = require __DIR__ . '/changing' . $i % 8 . '.php';
            echo "$i $name";
            break;
        case 'leak':
            class_exists('Leak', false) || eval('class Leak { public static array $kept = []; }');
            Leak::$kept[] = str_repeat('x', 100_000);
            echo "$i leaked";
            break;
        case 'session':
            session_start();
            $_SESSION['count'] = ($_SESSION['count'] ?? 0) + 1;
            echo "$i ", $_SESSION['count'];
            break;
        case 'reset':
            opcache_reset();
            echo "$i reset";
            break;
        case 'spin':
            for (;;);
        case 'block':
            sleep(60);
            break;
        case 'exit':
            echo "$i leaves";
            exit((int) $_GET['code']);
        case 'throw':
            throw new RuntimeException("chaos $i");
        case 'memory':
            str_repeat('x', 1 << 40);
            break;
    }
}
