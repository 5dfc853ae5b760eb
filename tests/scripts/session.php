<?php
// Counts the visits of one visitor.
session_start();
$_SESSION['count'] = ($_SESSION['count'] ?? 0) + 1;
echo 'visit ', $_SESSION['count'], ' of ', $_GET['who'] ?? 'somebody';
$_SESSION['who'] ??= $_GET['who'] ?? null;
echo ' known as ', $_SESSION['who'];
