<?php
// No body may follow 204, whatever the script prints.
http_response_code(204);
header('X-Only: header');
echo 'this must not arrive';
flush();
echo 'nor this';
