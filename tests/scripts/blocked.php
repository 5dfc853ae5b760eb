<?php
// Waits for somebody who never answers, in every way in which PHP and its libraries wait.
set_time_limit(0);
$port = $_GET['port'] ?? '0';
$address = "127.0.0.1:$port";

function connected(string $address, string $scheme = 'tcp'): mixed
{
    $stream = stream_socket_client("$scheme://$address", $code, $message, 60);
    if ($stream) {
        stream_set_timeout($stream, 60);
    }
    return $stream;
}

switch ($_GET['how']) {
    case 'loop':
        for (;;);
    case 'sleep':
        sleep(60);
        break;
    case 'usleep':
        usleep(60_000_000);
        break;
    case 'nanosleep':
        time_nanosleep(60, 0);
        break;
    case 'flock':
        flock(fopen($_GET['lock'], 'c'), LOCK_EX);
        break;
    case 'fifo':
        fopen($_GET['fifo'], 'r');
        break;
    case 'stream':
        fgets(connected($address));
        break;
    case 'stream for ever':
        $stream = connected($address);
        stream_set_timeout($stream, -1);
        fread($stream, 10);
        break;
    case 'tls':
        connected($address, 'tls');
        break;
    case 'http':
        file_get_contents("http://$address/", context: stream_context_create(['http' => ['timeout' => 60]]));
        break;
    case 'pair':
        $pair = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
        stream_set_timeout($pair[0], 60);
        fgets($pair[0]);
        break;
    case 'writing':
        $stream = connected($address);
        for (;;) {
            fwrite($stream, str_repeat('x', 1_000_000));
        }
    case 'select':
        $read = [connected($address)];
        $none = null;
        stream_select($read, $none, $none, 60);
        break;
    case 'accept':
        stream_socket_accept(stream_socket_server('tcp://127.0.0.1:0'), 60);
        break;
    case 'socket':
        $socket = socket_create(AF_INET, SOCK_STREAM, SOL_TCP);
        socket_connect($socket, '127.0.0.1', (int) $port);
        socket_read($socket, 10);
        break;
    case 'datagram':
        $socket = socket_create(AF_INET, SOCK_DGRAM, SOL_UDP);
        socket_bind($socket, '127.0.0.1', 0);
        socket_recvfrom($socket, $data, 10, 0, $from, $from_port);
        break;
    case 'curl':
        $handle = curl_init("http://$address/");
        curl_setopt($handle, CURLOPT_RETURNTRANSFER, true);
        curl_exec($handle);
        break;
    case 'curl multi':
        $multi = curl_multi_init();
        $handle = curl_init("http://$address/");
        curl_setopt($handle, CURLOPT_RETURNTRANSFER, true);
        curl_multi_add_handle($multi, $handle);
        do {
            curl_multi_exec($multi, $running);
            curl_multi_select($multi, 60);
        } while ($running);
        break;
    case 'mysqli':
        mysqli_report(MYSQLI_REPORT_OFF);
        new mysqli('127.0.0.1', 'nobody', '', '', (int) $port);
        break;
    case 'pdo_mysql':
        new PDO("mysql:host=127.0.0.1;port=$port", 'nobody', '', [PDO::ATTR_ERRMODE => PDO::ERRMODE_SILENT]);
        break;
    case 'pgsql':
        pg_connect("host=127.0.0.1 port=$port user=nobody connect_timeout=60");
        break;
    case 'redis':
        $redis = new Redis();
        $redis->connect('127.0.0.1', (int) $port, 60, null, 0, 60);
        $redis->get('key');
        break;
    case 'shutdown function':
        register_shutdown_function(function () use ($address): void { fgets(connected($address)); });
        break;
    case 'destructor':
        $GLOBALS['kept'] = new class ($address) {
            public function __construct(private string $address)
            {
            }

            public function __destruct()
            {
                fgets(connected($this->address));
            }
        };
        break;
    case 'again and again':
        for (;;) {
            @fgets(connected($address));
        }
    case 'program':
        system('exec sleep 5');
        break;
    default:
        exit('no such way');
}
// Whoever comes here has been let go; a kill must reach the script all the same.
for (;;);
