<?php
// The front page, by PHP: the address that was asked for, and a form that Django answers.
?>
<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Django and PHP</title><link rel="stylesheet" href="/style.css"></head>
<body>
<h1>Hello from PHP <?= PHP_VERSION ?></h1>
<p>You asked for <code><?= htmlspecialchars($_SERVER['REQUEST_URI']) ?></code>.</p>
<form method="post" action="/notes/">
  <label>A note for Django: <input name="text" required></label> <button>Add</button>
</form>
<p><a href="/notes/">All notes, by Django</a></p>
</body>
</html>
