<?php
// A save handler in PHP that keeps its calls, and a lock per session while it is open.
class FolderSessions implements SessionHandlerInterface
{
    public static array $calls = [];
    private $lock = null;

    public function __construct(private string $folder) {}

    public function open(string $path, string $name): bool
    {
        self::$calls[] = 'open';
        return true;
    }

    public function read(string $id): string
    {
        self::$calls[] = 'read';
        $this->lock = fopen("$this->folder/lock-$id", 'c');
        flock($this->lock, LOCK_EX);
        if (isset($_GET['hang'])) {
            file_put_contents($_GET['hang'], 'hanging');
            set_time_limit(1);
            for (;;);
        }
        return is_file("$this->folder/data-$id") ? file_get_contents("$this->folder/data-$id") : '';
    }

    public function write(string $id, string $data): bool
    {
        self::$calls[] = 'write';
        if (isset($_GET['print'])) {
            file_put_contents($_GET['print'], 'writing');
            for ($tries = 0; $tries < 500; $tries++) {
                echo 'printed by the save handler ';
                flush();
                usleep(10_000);
            }
        }
        if (isset($_GET['throw'])) {
            $this->close(); // PHP does not after an exception
            throw new Exception('from the save handler');
        }
        return file_put_contents("$this->folder/data-$id", $data) !== false;
    }

    public function close(): bool
    {
        self::$calls[] = 'close';
        if ($this->lock !== null) {
            flock($this->lock, LOCK_UN);
            $this->lock = null;
        }
        return true;
    }

    public function destroy(string $id): bool
    {
        return @unlink("$this->folder/data-$id");
    }

    public function gc(int $lifetime): int|false
    {
        return 0;
    }
}
