<?php
// Arguments: folder, posts, pictures, MiB of documents, seed.
[ $folder, $posts, $pictures, $documents, $seed ] = $arguments;
foreach ( [ &$posts, &$pictures, &$documents, &$seed ] as &$number ) {
	$number = (int) $number;
}
unset( $number );
mt_srand( $seed );

$_SERVER['HTTP_HOST']   = '127.0.0.1';
$_SERVER['REQUEST_URI'] = '/';
require "$folder/wp-load.php";
global $wpdb;

// Text like text: a vocabulary whose first words are common and whose last are rare.
$vocabulary = [];
for ( $i = 0; $i < 4000; $i++ ) {
	$word = '';
	for ( $letters = mt_rand( 2, 9 ); $letters > 0; $letters-- ) {
		$word .= chr( 97 + mt_rand( 0, 25 ) );
	}
	$vocabulary[] = $word;
}
$specials = [ 'Größe', 'naïve', '日本語', '🎉', "l'été", 'C:\\temp', '100%' ];
$sentence = function ( int $words ) use ( $vocabulary, $specials ): string {
	$text = [];
	for ( $i = 0; $i < $words; $i++ ) {
		$rank   = (int) ( 4000 * ( mt_rand() / mt_getrandmax() ) ** 2.5 ) % 4000;
		$text[] = mt_rand( 0, 199 ) ? $vocabulary[ $rank ] : $specials[ mt_rand( 0, 6 ) ];
	}
	return ucfirst( implode( ' ', $text ) ) . '.';
};
$paragraphs = function ( int $count ) use ( $sentence ): string {
	$text = '';
	for ( $i = 0; $i < $count; $i++ ) {
		$text .= '<!-- wp:paragraph --><p>' . $sentence( mt_rand( 40, 120 ) ) . "</p><!-- /wp:paragraph -->\n";
	}
	return $text;
};

// Some posts through WordPress itself, with what its hooks add; the bulk through its database.
$through_api = min( $posts, 10 );
for ( $i = 0; $i < $through_api; $i++ ) {
	$id = wp_insert_post(
		[
			'post_title'    => $sentence( 5 ),
			'post_content'  => wp_slash( $paragraphs( 3 ) ),
			'post_status'   => 'publish',
			'post_date'     => gmdate( 'Y-m-d H:i:s', 1600000000 + $i * 977 ),
			'post_category' => [ 1 ],
			'tags_input'    => [ "tag-$i", 'shared' ],
		],
		true
	);
	if ( is_wp_error( $id ) ) {
		exit( $id->get_error_message() );
	}
	add_post_meta( $id, '_layout', [ 'columns' => $i, 'caption' => $specials[ $i % 7 ] ] );
}

$query = function ( string $sql ) use ( $wpdb ): void {
	if ( false === $wpdb->query( $sql ) ) {
		exit( $wpdb->last_error );
	}
};
$query( 'START TRANSACTION' );
for ( $done = $through_api; $done < $posts; ) {
	$rows = [];
	for ( $k = 0; $k < 100 && $done < $posts; $k++, $done++ ) {
		$date   = gmdate( 'Y-m-d H:i:s', 1600000000 + $done * 977 );
		$rows[] = $wpdb->prepare(
			"(1, %s, %s, %s, %s, '', 'publish', 'open', 'open', %s, %s, %s, '', '', '', 'post', '')",
			$date, $date, $paragraphs( 8 ), $sentence( 6 ), "post-$seed-$done", $date, $date
		);
	}
	$query(
		"INSERT INTO $wpdb->posts (post_author, post_date, post_date_gmt, post_content, post_title,
		post_excerpt, post_status, comment_status, ping_status, post_name, post_modified,
		post_modified_gmt, to_ping, pinged, post_content_filtered, post_type, post_mime_type)
		VALUES " . implode( ',', $rows )
	);
	$first = (int) $wpdb->insert_id;
	$metas = [];
	foreach ( array_keys( $rows ) as $k ) {
		for ( $m = 0; $m < 6; $m++ ) {
			$value   = $m % 2 ? serialize( [ 'sku' => mt_rand(), 'options' => [ $sentence( 5 ), $sentence( 4 ) ] ] ) : (string) mt_rand();
			$metas[] = $wpdb->prepare( '(%d, %s, %s)', $first + $k, "_field_$m", $value );
		}
	}
	$query( "INSERT INTO $wpdb->postmeta (post_id, meta_key, meta_value) VALUES " . implode( ',', $metas ) );
}
$query( 'COMMIT' );

$uploads = wp_upload_dir()['basedir'];
$folder_of = function ( int $i ) use ( $uploads ): string {
	$path = sprintf( '%s/%d/%02d', $uploads, 2019 + $i % 6, 1 + $i % 12 );
	wp_mkdir_p( $path );
	return $path;
};
$when = fn( int $i ): int => 1600000000 + $i * 4801;

if ( $pictures > 0 ) {
	$noise = imagecreatetruecolor( 160, 120 );
	for ( $x = 0; $x < 160; $x++ ) {
		for ( $y = 0; $y < 120; $y++ ) {
			imagesetpixel( $noise, $x, $y, mt_rand( 0, 0xffffff ) );
		}
	}
	$canvas = imagecreatetruecolor( 1200, 900 );
	for ( $i = 0; $i < $pictures; $i++ ) {
		imagecopyresampled( $canvas, $noise, 0, 0, mt_rand( 0, 40 ), mt_rand( 0, 30 ), 1200, 900, 120, 90 );
		imagefilledellipse( $canvas, mt_rand( 0, 1200 ), mt_rand( 0, 900 ), 400, 300, mt_rand( 0, 0xffffff ) );
		$name = $folder_of( $i ) . "/picture-$seed-$i";
		imagejpeg( $canvas, "$name.jpg", 82 );
		foreach ( [ 300, 150 ] as $width ) {
			imagejpeg( imagescale( $canvas, $width ), "$name-{$width}x.jpg", 80 );
		}
		foreach ( [ '', '-300x', '-150x' ] as $suffix ) {
			touch( "$name$suffix.jpg", $when( $i ) );
		}
		$id = wp_insert_attachment(
			[
				'post_title'     => "Picture $i",
				'post_mime_type' => 'image/jpeg',
				'post_status'    => 'inherit',
			],
			"$name.jpg"
		);
		if ( ! $id ) {
			exit( "attachment $i" );
		}
	}
}

// Documents do not compress: an AES-CTR key stream, so that a seed gives the same bytes fast.
$kinds = [ 'pdf' => '%PDF-1.7', 'zip' => "PK\3\4", 'mp4' => "\0\0\0\x18ftypisom" ];
$zeros = str_repeat( "\0", 1 << 20 );
for ( $i = 0; $i < $documents; $i++ ) {
	$kind  = array_keys( $kinds )[ $i % 3 ];
	$bytes = openssl_encrypt( $zeros, 'aes-128-ctr', md5( "$seed-$i", true ), OPENSSL_RAW_DATA, str_repeat( "\0", 16 ) );
	$path  = $folder_of( $i ) . "/document-$seed-$i.$kind";
	if ( false === file_put_contents( $path, $kinds[ $kind ] . $bytes ) ) {
		exit( "write $path" );
	}
	touch( $path, $when( $i ) );
}
echo "done\n";
