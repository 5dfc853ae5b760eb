<?php
// Any number as status.
@http_response_code((int) $_GET['code']);
echo 'code ', $_GET['code'];
