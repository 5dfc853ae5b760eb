<?php

declare(strict_types=1);

/** Escapes text for HTML. */
function e(string $text): string
{
    return htmlspecialchars($text, ENT_QUOTES | ENT_SUBSTITUTE, 'UTF-8');
}

/** Describes the uploaded file, or says why there is none. */
function describe_upload(?array $file): string
{
    return match ($file['error'] ?? UPLOAD_ERR_NO_FILE) {
        UPLOAD_ERR_OK => sprintf('%s, %s bytes', $file['name'], number_format($file['size'])),
        UPLOAD_ERR_NO_FILE => 'no file',
        UPLOAD_ERR_INI_SIZE, UPLOAD_ERR_FORM_SIZE => 'the file is larger than PHP allows (upload_max_filesize)',
        default => 'the upload failed',
    };
}

$posted = $_SERVER['REQUEST_METHOD'] === 'POST';
$name = is_string($_POST['name'] ?? null) ? trim($_POST['name']) : '';
$missing = $posted && $name === '';
if ($missing) {
    http_response_code(422);
}
?>
<!DOCTYPE html>
<html lang="en">
<head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>A form - Howdah</title>
    <link rel="icon" href="data:,">
    <link rel="stylesheet" href="/style.css">
</head>
<body>
<main>
    <h1>A form</h1>
<?php if ($posted && !$missing): ?>
    <p role="status">Hello, <strong><?= e($name) ?></strong>. You sent: <?= e(describe_upload($_FILES['file'] ?? null)) ?>.</p>
<?php elseif ($missing): ?>
    <p role="alert">Please enter a name.</p>
<?php endif ?>
    <form method="post" enctype="multipart/form-data">
        <label for="name">Your name</label>
        <input id="name" name="name" value="<?= e($name) ?>" autocomplete="name" required>
        <label for="file">A file, if you like (it is not kept)</label>
        <input id="file" name="file" type="file">
        <button>Send</button>
    </form>
    <p><a href="/">Back</a></p>
</main>
</body>
</html>
