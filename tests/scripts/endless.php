<?php
// Never ends by itself, in one of the places where PHP runs code.
class Endless
{
    public function __destruct()
    {
        for (;;);
    }
}
set_time_limit(0);
switch ($_GET['where']) {
    case 'script':
        for (;;);
    case 'printing':
        for (;;) {
            echo str_repeat('x', 1000);
        }
    case 'flushing':
        for (;;) {
            echo 'x';
            flush();
        }
    case 'sleep':
        sleep(60);
        break;
    case 'usleep':
        for (;;) {
            usleep(1000);
        }
    case 'shutdown':
        register_shutdown_function(function (): void { for (;;); });
        break;
    case 'destructor':
        $GLOBALS['kept'] = new Endless();
        break;
    case 'buffer':
        ob_start(function (): string { for (;;); });
        echo 'x';
        break;
    case 'finished':
        fastcgi_finish_request();
        for (;;);
    case 'fiber':
        (new Fiber(function (): void { for (;;); }))->start();
    case 'generator':
        foreach ((function () { for (;;) { yield 1; } })() as $value);
    case 'catching':
        for (;;) {
            try {
                for (;;);
            } catch (Throwable) {
            } finally {
            }
        }
    case 'sort':
        $list = range(1, 1000);
        usort($list, function (): int { for (;;); });
    case 'system':
        system('sleep 20');
        break;
    case 'select':
        $pair = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
        $read = [$pair[0]];
        $none = null;
        stream_select($read, $none, $none, 60);
        break;
}
for (;;);
