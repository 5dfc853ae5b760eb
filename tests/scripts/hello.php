<?php
// The smallest useful answer: who is asking.
echo 'request ', $_GET['i'] ?? 'unnumbered';
