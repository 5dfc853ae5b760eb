<?php
header('Content-Type: text/event-stream');
for ($i = 0; $i < (int) ($_GET['events'] ?? 3); $i++) {
    echo "data: $i\n\n";
    flush();
}
