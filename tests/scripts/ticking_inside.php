<?php
// Prints every 20 ms from an unusual place until its client leaves; a file shows that it ended.
$trace = $_GET['trace'];
$print = function () use ($trace): void {
    for ($i = 0; $i < 500; $i++) {
        echo 'tick ';
        if (ob_get_level() > 0) {
            ob_flush();
        }
        flush();
        file_put_contents($trace, (string) $i);
        usleep(20_000);
    }
    file_put_contents("$trace.full", 'all ticks');
};
class Printing
{
    public function __construct(private Closure $print) {}
    public function __destruct() { ($this->print)(); }
}
function generate(Closure $print): Generator
{
    try {
        yield 1;
        $print();
    } finally {
        file_put_contents($_GET['trace'] . '.finally', 'ran');
    }
}
switch ($_GET['where']) {
    case 'fiber':
        (new Fiber($print))->start();
        break;
    case 'shutdown':
        register_shutdown_function($print);
        break;
    case 'destructor':
        $printing = new Printing($print);
        unset($printing);
        break;
    case 'late destructor':
        $GLOBALS['printing'] = new Printing($print);
        break;
    case 'generator':
        foreach (generate($print) as $value);
        break;
    case 'buffer':
        ob_start(fn (string $text): string => strtoupper($text), 1);
        $print();
        break;
    case 'callback':
        array_map($print, [1]);
        break;
    case 'try':
        try {
            $print();
        } finally {
            file_put_contents("$trace.finally", 'ran');
        }
        break;
    case 'session':
        session_start();
        $print();
        break;
}
