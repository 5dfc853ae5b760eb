<?php
function stay(float $seconds, string $how): void
{
    $end = microtime(true) + $seconds;
    if ($how === 'sleep') {
        usleep((int) ($seconds * 1_000_000)); // line 6
    }
    while (microtime(true) < $end); // line 8
}

class Place
{
    public function method(float $seconds, string $how): void
    {
        stay($seconds, $how); // line 15
    }

    public static function fixed(float $seconds, string $how): void
    {
        (new self())->method($seconds, $how); // line 20
    }

    public function __call(string $name, array $arguments): void
    {
        $this->method(...$arguments); // line 25
    }
}

function inner(float $seconds, string $how): Generator
{
    stay($seconds, $how); // line 31
    yield 1;
}

function middle(float $seconds, string $how): Generator
{
    yield from inner($seconds, $how); // line 37
}

function outer(float $seconds, string $how): Generator
{
    yield from middle($seconds, $how); // line 42
}

function go(string $place, float $seconds, string $how): void
{
    switch ($place) {
        case 'method':
            (new Place())->method($seconds, $how); // line 49
            break;
        case 'static':
            Place::fixed($seconds, $how); // line 52
            break;
        case 'magic':
            (new Place())->anything($seconds, $how); // line 55
            break;
        case 'closure':
            array_map(fn () => stay($seconds, $how), [1]); // line 58
            break;
        case 'generator':
            foreach (outer($seconds, $how) as $value); // line 61
            break;
        case 'fiber':
            (new Fiber(fn () => stay($seconds, $how)))->start(); // line 64
            break;
        case 'anonymous':
            (new class () {
                public function run(float $seconds, string $how): void
                {
                    stay($seconds, $how); // line 70
                }
            })->run($seconds, $how); // line 72
            break;
        case 'eval':
            eval('stay($seconds, $how);'); // line 75
            break;
        case 'destructor':
            $kept = new class ($seconds, $how) {
                public function __construct(private float $seconds, private string $how)
                {
                }

                public function __destruct()
                {
                    stay($this->seconds, $this->how); // line 85
                }
            };
            unset($kept); // line 88
            break;
        case 'exception':
            try {
                throw new Exception('thrown');
            } finally {
                stay($seconds, $how); // line 94
            }
        case 'deep':
            $down = function (int $levels) use (&$down, $seconds, $how): void {
                $levels > 0 ? $down($levels - 1) : stay($seconds, $how); // line 98
            };
            $down(500); // line 100
            break;
        case 'hash':
            hash_pbkdf2('sha512', 'password', 'salt', 500_000); // line 103
            break;
    }
}
