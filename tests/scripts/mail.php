<?php
putenv('HOWDAH_TEST_MAIL=' . $_GET['i']);
echo json_encode(mail('a@example.org', 'subject', 'text'));
