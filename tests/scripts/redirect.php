<?php
header('Location: /hello.php', true, (int) ($_GET['code'] ?? 0));
